"""Where the user was: kept while hfterm runs, and found again at the next start."""
