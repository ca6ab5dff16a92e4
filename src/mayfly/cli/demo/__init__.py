"""The demo: the main job on synthetic customers, with its proof."""
