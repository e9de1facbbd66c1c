"""What every record of a shop is: an id and metadata."""

from dataclasses import dataclass, field

from app.saleor.simulator import ids

Metadata = dict[str, str]


@dataclass(eq=False, kw_only=True)
class Record:
    """Anything with metadata. Records are compared by identity, as rows are by their key."""

    metadata: Metadata = field(default_factory=dict)
    private_metadata: Metadata = field(default_factory=dict)

    @property
    def key(self) -> object:
        raise NotImplementedError

    @property
    def id(self) -> str:
        return ids.encode(type(self).__name__, self.key)


@dataclass(eq=False, kw_only=True)
class Numbered(Record):
    number: int

    @property
    def key(self) -> object:
        return self.number
