"""Pages for people: server-rendered HTML for the Dashboard and for customers, without scripts where it can be."""
