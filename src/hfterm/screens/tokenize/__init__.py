"""The Tokenize screen: one module a tab, and the screen that holds them."""
