"""One signed call to an operator's wallet, over connections that are kept with care."""
