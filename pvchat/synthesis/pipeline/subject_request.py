"""What a user says about a subject."""

from dataclasses import dataclass, field


@dataclass
class SubjectRequest:
    """One subject: who, the files, and what is said about them."""

    name: str
    reference: list[str] = field(default_factory=list)
    face: int | None = None
    like: list[str] = field(default_factory=list)
    gender: str | None = None
    age: str | None = None
    licence: str = "not stated"
    consent: str = "not stated"
