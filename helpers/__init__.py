"""A small library for a network from scratch on Fashion-MNIST; start reading at `network`."""

import logging

# On its first run matplotlib may say on stderr that it builds its font cache, and no notebook
# shows stderr.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
