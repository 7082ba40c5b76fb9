"""Strategies and the gateways they trade through; they run with or without the sweep service."""
