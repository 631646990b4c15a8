"""hsadc: an open software ADC that sends a copy of traffic, decrypted where it was TLS, to an analyzer."""

__version__ = "0.1.0"
