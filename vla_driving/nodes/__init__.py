"""One file a node: parameters, subscriptions, publishers and a core from the rooms below."""
