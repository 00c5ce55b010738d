"""The Attention screen."""
