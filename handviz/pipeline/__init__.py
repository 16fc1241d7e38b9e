"""From a source to results: one pure step per frame, newest-wins slots, threads, statistics. No Qt."""
