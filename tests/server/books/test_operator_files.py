"""An operator's own list against ours: every kind of difference by transaction id, and files that can't be read."""

import csv
import io
import json

import pytest

FIELDS = ["operator_tx_id", "kind", "amount_minor", "currency"]
ALL = {
    "bet-{won}": 100,
    "win-{won}": 155,
    "bet-{lost}": 100,
    "bet-{later}": 100,
    "refund-{unknown}": 100,
    "bet-{refunded}": 100,
    "refund-{refunded}": 100,
    "bet-{owed}": 100,
    "bet-{flying}": 100,
}
"""What the first operator has acknowledged."""

UNSETTLED = [("bet-betting", "pending"), ("win-owed", "pending")]


def rows(changes=None, without=()):
    """The operator's list as it should be, but for ``changes``."""
    amounts = {key: amount for key, amount in (ALL | (changes or {})).items() if key not in without}
    return [[key, key.partition("-")[0], amount, "USD"] for key, amount in amounts.items()]


def as_csv(listed):
    text = io.StringIO()
    csv.writer(text).writerows([FIELDS, *listed])
    return text.getvalue()


def as_jsonl(listed):
    return "".join(json.dumps(dict(zip(FIELDS, row, strict=True)) | {"player": "x"}) + "\n" for row in listed)


@pytest.fixture
def compare(sound, tmp_path):
    """What the command makes of a file with this content."""

    def run(content, *arguments):
        path = tmp_path / "theirs"
        path.write_bytes(content.encode())
        return sound.reconcile("--operator", "{first}", "--operator-file", str(path), "--json", *arguments)

    return run


@pytest.fixture
def differences(sound, compare):
    """What differs in a list whose ids are names: (problem, id, detail)."""

    def run(listed, *arguments, form=as_csv):
        filled = [[sound.text(key), *rest] for key, *rest in listed]
        done = compare(form(filled), *arguments)
        assert done.err == ""
        document = json.loads(done.out)
        found = [(row["problem"], sound.named(row["operator_tx_id"]), row["detail"]) for row in document["differences"]]
        assert done.status == (1 if found else 0)
        problems = [problem for problem, *_ in found]
        assert document["operator_file"]["problems"] == {name: problems.count(name) for name in problems}
        assert document["operator_file"]["rows"] == len(listed)
        return sorted(found)

    return run


def unsettled(sound, done):
    listed = json.loads(done.out)["operator_file"]["unsettled"]
    assert listed["count"] == len(listed["shown"])
    return sorted((sound.named(call["operator_tx_id"]), call["status"]) for call in listed["shown"])


@pytest.mark.parametrize("form", [as_csv, as_jsonl])
def test_equal_lists(form, differences):
    assert differences(rows(), form=form) == []


@pytest.mark.parametrize("listed", [{}, {"bet-{betting}": 100, "win-{owed}": 150}])
def test_what_is_not_settled_may_be_listed_or_not(listed, sound, compare):
    filled = [[sound.text(key), *rest] for key, *rest in rows(listed)]
    done = compare(as_csv(filled))
    assert done.status == 0
    assert unsettled(sound, done) == UNSETTLED
    shown = json.loads(done.out)["operator_file"]["unsettled"]["shown"]
    assert [call["is_listed"] for call in shown] == [bool(listed)] * 2


def test_a_bet_of_unknown_fate_may_be_listed_with_its_refund(differences):
    assert differences(rows({"bet-{unknown}": 100})) == []
    assert differences(rows({"bet-{unknown}": 100}, without=["refund-{unknown}"])) == [
        ("missing_at_operator", "refund-unknown", "refund of 100 minor USD is acknowledged")
    ]


def test_a_bet_of_unknown_fate_whose_refund_is_on_its_way_is_not_settled(sound, compare, differences):
    sound.damage(
        "UPDATE transactions SET status = 'parked', acknowledged_at_ms = NULL WHERE operator_tx_id = 'refund-{unknown}'"
    )
    listed = rows({"bet-{unknown}": 100}, without=["refund-{unknown}"])
    assert differences(listed) == []
    done = compare(as_csv([[sound.text(key), *rest] for key, *rest in listed]))
    assert unsettled(sound, done) == sorted([*UNSETTLED, ("bet-unknown", "unknown"), ("refund-unknown", "parked")])


def test_what_a_person_has_resolved_may_be_booked_under_another_id(sound, compare):
    listed = as_csv([[sound.text(key), *rest] for key, *rest in rows(without=["win-{won}"])])
    sound.damage(
        "UPDATE transactions SET status = 'parked', acknowledged_at_ms = NULL WHERE operator_tx_id = 'win-{won}'"
    )
    done = sound.getaway(
        "wallet", "resolve", sound.text("win-{won}"), "--operator", sound.text("{first}"), "--reason", "x"
    )
    assert done.status == 0, done.err
    done = compare(listed)
    assert done.status == 0
    assert unsettled(sound, done) == sorted([*UNSETTLED, ("win-won", "resolved")])
    done = compare(as_csv([[sound.text(key), *rest] for key, *rest in rows()]))
    assert done.status == 0
    assert unsettled(sound, done) == UNSETTLED


def test_a_retry_explains_nothing(sound, compare):
    """It is sent again and acknowledged: what the operator has confirmed must be in its books, as ever."""
    win = "WHERE operator_tx_id = 'win-{won}'"
    sound.damage(f"UPDATE transactions SET status = 'parked', acknowledged_at_ms = NULL {win}")
    done = sound.getaway("wallet", "retry", sound.text("win-{won}"), "--operator", sound.text("{first}"))
    assert done.status == 0, done.err
    sound.damage(f"UPDATE transactions SET status = 'acknowledged', acknowledged_at_ms = 1 {win}")
    done = compare(as_csv([[sound.text(key), *rest] for key, *rest in rows(without=["win-{won}"])]))
    found = [(row["problem"], sound.named(row["operator_tx_id"])) for row in json.loads(done.out)["differences"]]
    assert (done.status, found) == (1, [("missing_at_operator", "win-won")])


RESOLUTIONS = {
    "without a code": ("'{first}', 'win-{won}'", "NULL"),
    "with the code of another call's": ("'{first}', 'win-{won}'", "mac"),
}


@pytest.mark.parametrize("name", RESOLUTIONS)
def test_a_resolution_that_nobody_made_hides_nothing(sound, compare, name):
    call, mac = RESOLUTIONS[name]
    done = sound.getaway(
        "wallet", "resolve", sound.text("win-{owed}"), "--operator", sound.text("{first}"), "--reason", "x"
    )
    assert done.status == 0, done.err
    listed = as_csv([[sound.text(key), *rest] for key, *rest in rows(without=["win-{won}"])])
    assert [row["problem"] for row in json.loads(compare(listed).out)["differences"]] == ["missing_at_operator"]
    sound.damage(
        "INSERT INTO wallet_actions (operator_id, operator_tx_id, action, by_whom, reason, at_ms, status_before,"
        f" status_after, mac) SELECT {call}, action, by_whom, reason, at_ms, status_before, status_after, {mac}"
        " FROM wallet_actions"
    )
    done = compare(listed)
    assert done.status == 1
    document = json.loads(done.out)
    found = [(row["problem"], sound.named(row["operator_tx_id"])) for row in document["differences"]]
    assert found == [("missing_at_operator", "win-won")]
    assert sound.findings(document) == {"written_actions": ["resolve of win-won"]}


def test_a_lost_bet_that_nobody_noted_is_found(sound):
    sound.damage(
        "INSERT INTO lost_bets (operator_id, round_id, session_id, operator_player_id, currency, amount_minor, body,"
        " noted_by) SELECT operator_id, gen_random_uuid(), session_id, 'forger', currency, 100000, '{{}}', 'ann'"
        " FROM rounds WHERE round_id = '{won}'"
    )
    document = json.loads(sound.reconcile("--json").out)
    assert [check["check"] for check in document["checks"] if check["differences"]] == ["written_lost_bets"]


def test_a_bet_of_unknown_fate_without_a_refund(sound, differences):
    sound.damage("DELETE FROM transactions WHERE operator_tx_id = 'refund-{unknown}'")
    listed = rows({"bet-{unknown}": 100}, without=["refund-{unknown}"])
    expected = [("not_refunded", "bet-unknown", "bet of 100 minor USD of unknown status has no refund")]
    assert differences(listed) == expected


@pytest.mark.parametrize("form", [as_csv, as_jsonl])
@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (
            rows(without=["win-{won}", "bet-{flying}"]),
            [
                ("missing_at_operator", "bet-flying", "bet of 100 minor USD is acknowledged"),
                ("missing_at_operator", "win-won", "win of 155 minor USD is acknowledged"),
            ],
        ),
        (rows({"bet-x": 7}), [("unknown_to_us", "bet-x", "bet of 7 minor USD")]),
        (
            [*rows(without=["bet-{lost}"]), ["BET-{lost}", "bet", 100, "USD"]],
            [
                ("missing_at_operator", "bet-lost", "bet of 100 minor USD is acknowledged"),
                ("unknown_to_us", "BET-lost", "bet of 100 minor USD"),
            ],
        ),
        (rows({"bet-{declined}": 100}), [("declined", "bet-declined", "bet of 100 minor USD was declined")]),
        (rows({"win-{won}": 156}), [("amount_minor", "win-won", "ours 155, theirs 156")]),
        (rows({"win-{owed}": 151}), [("amount_minor", "win-owed", "ours 150, theirs 151")]),
        (
            [*rows(without=["bet-{lost}"]), ["bet-{lost}", "bet", 100, "EUR"]],
            [("currency", "bet-lost", "ours USD, theirs EUR")],
        ),
        (
            [*rows(without=["bet-{lost}"]), ["bet-{lost}", "refund", 99, "EUR"]],
            [
                ("amount_minor", "bet-lost", "ours 100, theirs 99"),
                ("currency", "bet-lost", "ours USD, theirs EUR"),
                ("kind", "bet-lost", "ours bet, theirs refund"),
            ],
        ),
        (
            [*rows(), ["win-{won}", "win", 155, "USD"], ["y", "win", 1, "USD"], ["y", "win", 1, "USD"]],
            [
                ("listed_twice", "win-won", "2 times, the last in line LAST_WIN"),
                ("listed_twice", "y", "2 times, the last in line LAST"),
                ("unknown_to_us", "y", "win of 1 minor USD"),
            ],
        ),
    ],
    ids=["missing", "unknown", "case", "declined", "amount", "amount of a pending", "currency", "all of it", "twice"],
)
def test_differences(listed, expected, form, differences):
    last = len(listed) + (form is as_csv)
    numbers = {"LAST_WIN": str(last - 2), "LAST": str(last)}
    due = [
        (problem, key, " ".join(numbers.get(word, word) for word in detail.split()))
        for problem, key, detail in expected
    ]
    assert differences(listed, form=form) == due


def test_days_limit_both_sides(differences):
    first = rows(without=["bet-{later}"])
    assert differences(first, "--to", "2026-07-01") == []
    assert differences(rows(), "--to", "2026-07-01") == [], "a row of another day is no stranger"
    assert differences(rows({"bet-{later}": 99}), "--to", "2026-07-01") == []
    later = rows()[3:4]
    assert differences(later, "--from", "2026-07-02") == []
    assert differences([], "--from", "2026-07-02") == [
        ("missing_at_operator", "bet-later", "bet of 100 minor USD is acknowledged")
    ]
    stranger = [*first, ["bet-x", "bet", 1, "USD"]]
    assert differences(stranger, "--to", "2026-07-01") == [("unknown_to_us", "bet-x", "bet of 1 minor USD")]


def test_another_operators_transaction_is_unknown(differences):
    assert differences(rows({"bet-{foreign}": 100})) == [("unknown_to_us", "bet-foreign", "bet of 100 minor USD")]


def test_text_names_each_difference_and_its_line(sound, tmp_path):
    path = tmp_path / "theirs.csv"
    listed = [[sound.text(key), *rest] for key, *rest in rows({"win-{won}": 156}, without=["bet-{flying}"])]
    path.write_text(as_csv(listed))
    done = sound.reconcile("--operator", "{first}", "--operator-file", str(path))
    assert done.status == 1
    text = sound.named(done.out)
    assert "\nunsettled: 2\n  bet-betting  1.00 USD  pending, not listed\n" in text
    assert (
        "\noperator's file: 8 rows, 8 of them ours, 2 differences\n"
        "  missing_at_operator  bet-flying  bet of 100 minor USD is acknowledged\n"
        "  amount_minor  win-won (line 3)  ours 155, theirs 156\n"
    ) in text


def test_many_rows_are_read_in_batches_and_all_differences_are_printed(sound, compare, monkeypatch):
    monkeypatch.setattr("server.books.operator_files.BATCH_ROWS", 7)
    monkeypatch.setattr("server.cli.reconcile.SPOOL_BYTES_MAX", 1_000)
    listed = [[sound.text(key), *rest] for key, *rest in rows()] + [
        [f"x{n:04}", "win", n + 1, "USD"] for n in range(1_500)
    ]
    document = json.loads(compare(as_csv(listed)).out)
    assert (document["operator_file"]["rows"], document["operator_file"]["matched"]) == (1_509, 9)
    assert document["differences"] == [
        {
            "problem": "unknown_to_us",
            "operator_tx_id": f"x{n:04}",
            "line": n + 11,
            "detail": f"win of {n + 1} minor USD",
        }
        for n in range(1_500)
    ]


def test_forms_that_mean_the_same(sound, compare):
    listed = [[sound.text(key), *rest] for key, *rest in rows()]
    plain = as_csv(listed)
    wider = "".join(f'"a, {n}",{line}\n' for n, line in enumerate(plain.splitlines()))
    forms = {
        "byte order mark": "\ufeff" + plain,
        "other columns": wider.replace('"a, 0"', "booked_at"),
        "line feeds and blank lines": plain.replace("\r\n", "\n\n"),
        "no last line end": plain.rstrip(),
        "objects after a blank line": "\n" + as_jsonl(listed),
        "objects with a mark": "\ufeff" + as_jsonl(listed),
    }
    assert {name: compare(form).status for name, form in forms.items()} == dict.fromkeys(forms, 0)
    assert compare(plain, "--format", "csv").status == 0
    assert compare(as_jsonl(listed), "--format", "jsonl").status == 0
    assert compare("", "--format", "jsonl").status == 1


HEAD = ",".join(FIELDS) + "\n"
GOOD = '{"operator_tx_id": "a", "kind": "bet", "amount_minor": 1, "currency": "USD"}\n'


def changed(old, new):
    return GOOD + GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("content", "complaints"),
    [
        ("", ["line 1: the header is missing: operator_tx_id,kind,amount_minor,currency"]),
        ("a;b\n", ["line 1: the header must have operator_tx_id, kind, amount_minor, currency once"]),
        ("kind,kind,operator_tx_id,amount_minor,currency\n", ["line 1: the header must have kind once"]),
        (HEAD + "a,bet,1,USD\na,bet,1\n", ["line 3: 3 columns, but the header has 4"]),
        (HEAD + "a,bet,1,USD,more\na,bet,1,USD\n", ["line 2: 5 columns, but the header has 4"]),
        (HEAD + "a,bet,1.00,USD\n", ["line 2: amount_minor must be an integer from 1 to 1000000000000000"]),
        (HEAD + "a,bet,-1,USD\na,bet,0,USD\n", ["line 2: amount_minor", "line 3: amount_minor"]),
        (HEAD + f"a,bet,{'9' * 16},USD\na,bet,{'9' * 5_000},USD\n", ["line 2: amount_minor", "line 3: amount_minor"]),
        (HEAD + "a,BET,1,USD\n", ["line 2: kind must be bet, win or refund"]),
        (HEAD + "a,bet,1,usd\na,bet,1,USDT\n", ["line 2: currency must be", "line 3: currency must be"]),
        (HEAD + ",bet,1,USD\n", ["line 2: operator_tx_id missing"]),
        (
            HEAD + f"{'a' * 201},bet,1,USD\na\0,bet,1,USD\n",
            ["line 2: operator_tx_id must", "line 3: operator_tx_id must"],
        ),
        (HEAD + 'a,bet,1,USD\n"a,bet,1,USD\n', ["line 3: not CSV"]),
        (HEAD + "a" * 65_537, ["line 2: longer than 65536 bytes"]),
        (HEAD + "bad\n" * 12, ["line 2: ", "line 11: ", "; and 2 more"]),
        (GOOD + "nonsense\n", ["line 2: not one JSON object"]),
        (
            GOOD + "[1]\n" + GOOD + "{}\n",
            ["line 2: not one", "line 4: operator_tx_id, kind, amount_minor, currency missing"],
        ),
        (GOOD + "[" * 60_000 + "\n", ["line 2: not one JSON object"]),
        (changed('"kind"', '"kind": "win", "kind"'), ["line 2: not one JSON object with unique keys"]),
        (changed("1", "1.0"), ["line 2: amount_minor"]),
        (changed("1", "true"), ["line 2: amount_minor"]),
        (changed("1", '"1"'), ["line 2: amount_minor"]),
        (changed('"a"', "7"), ["line 2: operator_tx_id must"]),
        (changed('"a"', '"\\ud800"'), ["line 2: operator_tx_id must"]),
        (changed('"bet"', "[]"), ["line 2: kind must"]),
        (changed('"USD"', "null"), ["line 2: currency missing"]),
    ],
)
def test_bad_lines_are_named(content, complaints, sound, tmp_path):
    path = tmp_path / "theirs"
    path.write_text(content, newline="")
    refusal = sound.getaway.refusal(2, *arguments(sound, path))
    assert refusal.startswith(f"getaway: {path}: line ")
    assert all(complaint in refusal for complaint in complaints)


def arguments(sound, path):
    return ("reconcile", "--operator", str(sound.names["first"]), "--operator-file", str(path))


def test_files_that_are_none(sound, tmp_path):
    path = tmp_path / "theirs"
    assert "does not exist" in sound.getaway.refusal(2, *arguments(sound, path))
    assert "is a directory" in sound.getaway.refusal(2, *arguments(sound, tmp_path))
    path.write_bytes(HEAD.encode() + b"a,bet,1,\xff\n")
    assert "line 2: not UTF-8" in sound.getaway.refusal(2, *arguments(sound, path))
    path.write_text(GOOD)
    assert "line 1: the header must have" in sound.getaway.refusal(2, *arguments(sound, path), "--format", "csv")
    path.write_text(HEAD)
    assert "line 1: not one JSON object" in sound.getaway.refusal(2, *arguments(sound, path), "--format", "jsonl")


def test_a_difference_names_the_line_in_which_it_is_listed_first(sound, tmp_path):
    path = tmp_path / "theirs"
    path.write_text(HEAD + "y,win,1,USD\nz,win,1,USD\ny,win,1,USD\n")
    found = json.loads(sound.getaway(*arguments(sound, path), "--json").out)["differences"]
    assert {(each["operator_tx_id"], each["line"]) for each in found if each["line"]} == {("y", 2), ("z", 3)}
