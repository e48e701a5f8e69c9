"""How one would make a compound: routes, driving forces, masses and the gates of makeability, joined."""
