"""The Predict screen."""
