"""What comes from elsewhere: the starter kit, the hub cache, data sets."""
