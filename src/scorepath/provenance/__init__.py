"""Where results come from: verified, traced, accounted for, packed."""
