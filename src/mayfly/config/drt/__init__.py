"""Projects of drt, read as files and written anew as Mayfly's; connects to nothing."""
