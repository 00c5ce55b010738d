"""Fine-tuning: recipes, run processes that outlive the terminal, and reading what they wrote."""
