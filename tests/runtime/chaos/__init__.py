"""Workers that are killed, stopped, cut off and started anew under load: what they work, what is done to them, and what
must hold in the end."""
