"""`python -m coterie`."""

from coterie.cli import main

raise SystemExit(main())
