"""acm-sip."""
