"""Questions to a model behind any OpenAI-compatible endpoint: cached, retried, budgeted, in order."""

from pvchat.endpoint.budget import Budget
from pvchat.endpoint.client import Endpoint
from pvchat.endpoint.messages import Message, assistant, system, user
from pvchat.endpoint.together import Failure, together

__all__ = ["Budget", "Endpoint", "Failure", "Message", "assistant", "system", "together", "user"]
