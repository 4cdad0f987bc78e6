# What the stub generator cannot know: the operators of arrays are slots of the type. Format: nanobind's pattern files.

_core\.array\.__(r?(?:add|sub|mul|truediv|floordiv|mod|and|or|xor|lshift|rshift))__:
    def __\1__(self, other: array | bool | int | float | complex, /) -> array: ...

_core\.array\.__(i(?:add|sub|mul|truediv|floordiv|mod|and|or|xor|lshift|rshift))__:
    def __\1__(self, other: array | bool | int | float | complex, /) -> array: ...

_core\.array\.__([ri]?pow)__:
    def __\1__(self, other: array | bool | int | float | complex, mod: None = None, /) -> array: ...

_core\.array\.__(r?matmul|imatmul)__:
    def __\1__(self, other: array, /) -> array: ...

_core\.array\.__(lt|le|gt|ge)__:
    def __\1__(self, other: array | bool | int | float | complex, /) -> array: ...

_core\.array\.__(eq|ne)__:
    def __\1__(self, other: object, /) -> array: ...  # type: ignore[override]

_core\.array\.__(neg|pos|abs|invert)__:
    def __\1__(self) -> array: ...

_core\.array\.__(bool|int|float)__:
    def __\1__(self) -> \1: ...

_core\.array\.__(index|len|hash)__:
    def __\1__(self) -> int: ...

_core\.array\.__getitem__:
    def __getitem__(self, index: object, /) -> array: ...

_core\.array\.__setitem__:
    def __setitem__(self, index: object, value: array | bool | int | float | complex, /) -> None: ...

^treadle\._core\.__suffix__$:
    __version__: str
