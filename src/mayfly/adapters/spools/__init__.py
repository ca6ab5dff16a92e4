"""Where sealed batches and their keys are kept."""
