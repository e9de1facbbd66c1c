"""What is wrong with the input of a mutation, in the words of Saleor's error types."""

from collections.abc import Sequence


class InputError(Exception):
    """`field` and `code` are those of the payload's `errors`; some name the lines or variants they are about."""

    def __init__(
        self,
        field: str | None,
        code: str,
        message: str,
        *,
        lines: Sequence[str] = (),
        variants: Sequence[str] = (),
        address_type: str | None = None,
    ) -> None:
        super().__init__(message)
        self.field = field
        self.code = code
        self.message = message
        self.lines = lines
        self.variants = variants
        self.address_type = address_type
