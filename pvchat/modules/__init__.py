"""Neural modules: attention, Q-former, vision encoders, language model, and the chat model they make."""
