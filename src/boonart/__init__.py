"""BoonArt: search for paintings by what they show and how the things in them relate."""
