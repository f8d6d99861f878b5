# Generated from proto/boonart/v1 by proto/generate.py. Do not edit.
"""The generated half of the contracts."""
