"""The city's back office: people, cards, e-Warong, terminals, keys, decrees, disbursements."""
