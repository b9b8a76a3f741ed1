"""What the server of which a sweep's runs are forked imports first: so it dies with the sweep, also while it imports the rest."""

from nlrepro.processes import die_with_starter

die_with_starter()
