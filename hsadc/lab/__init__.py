"""The article's network in namespaces."""
