"""Order candidates, and spread a shortlist over chemistry."""
