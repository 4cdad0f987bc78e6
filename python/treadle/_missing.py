"""Names that MLX has and Treadle does not have yet: they can be imported and named, and say so when they are used."""


def module_getattr(module, classes="", functions=""):
    """A ``__getattr__`` for a module, with stand-ins for the names given (separated by blanks).

    A stand-in class can be used with ``isinstance``, but not made; a stand-in function cannot be called.
    """
    kinds = dict.fromkeys(classes.split(), "class") | dict.fromkeys(functions.split(), "function")
    made = {}

    def getattribute(name):
        if name not in kinds:
            raise AttributeError(f"module '{module}' has no attribute '{name}'")
        if name not in made:
            made[name] = _class(module, name) if kinds[name] == "class" else _function(module, name)
        return made[name]

    getattribute.names = tuple(kinds)
    return getattribute


def _text(module, name):
    return f"[{module}.{name}] is not in this version of Treadle yet."


def _class(module, name):
    def new(cls, *args, **kwargs):
        raise NotImplementedError(_text(module, name))

    return type(name, (), {"__new__": new, "__module__": module, "__doc__": _text(module, name)})


def _function(module, name):
    def missing(*args, **kwargs):
        raise NotImplementedError(_text(module, name))

    missing.__name__ = missing.__qualname__ = name
    missing.__module__ = module
    missing.__doc__ = _text(module, name)
    return missing
