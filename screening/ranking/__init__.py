"""The order of candidates, and a shortlist spread over chemistry."""
