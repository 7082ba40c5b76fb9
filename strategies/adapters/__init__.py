"""One file per market that strategies can trade on."""
