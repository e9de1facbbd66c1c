"""One async function per verb, with explicit collaborators; imports the domain only."""
