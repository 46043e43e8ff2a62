"""A small honest corpus: heads cut out of real footage, filmed anew in scenes whose content is commanded."""
