"""Neural modules: attention, Q-former, vision encoders, language model, and the chat model they make."""

import logging

# peft imports it where it is installed, and it asks for faster kernels each time
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
