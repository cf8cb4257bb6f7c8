"""What the edge and the web application share: errors, answers, whose request it is."""
