"""From people to a corpus: scenes planned, filmed, judged, asked about, written down."""
