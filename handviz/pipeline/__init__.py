"""From a source to results: one pure step a frame, newest-wins slots, threads, statistics. No Qt."""
