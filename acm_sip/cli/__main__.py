"""``python -m acm_sip.cli``: the same program without its script."""

from acm_sip.cli.program import main

main()
