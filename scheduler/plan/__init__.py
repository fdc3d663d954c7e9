"""Plans of relocations: proposals only, each move judged by the one rulebook, nothing done here."""
