"""What touches the world: files, bundles, reports. Adapters know nothing of one another."""
