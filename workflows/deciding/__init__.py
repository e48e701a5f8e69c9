"""From ranked candidates to a shortlist, the evidence for it and its explanation."""
