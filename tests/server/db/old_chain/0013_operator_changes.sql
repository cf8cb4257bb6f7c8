-- Which change of the operators the nodes know: whoever suspends one is told which nodes do not do so yet. One row, so that
-- changes come one after the other: a node that has read a number has all changes up to it.

CREATE TABLE operator_changes (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    version bigint NOT NULL
);
INSERT INTO operator_changes (version) VALUES (0);

ALTER TABLE nodes ADD operators_version bigint;
