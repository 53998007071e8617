"""From files of any kind to arrays: folders, archives, shards, pixels and their labels."""
