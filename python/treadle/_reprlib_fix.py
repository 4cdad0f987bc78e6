"""Makes ``reprlib`` print our arrays.

``reprlib`` chooses by the name of a type, and what it does for a type named ``array`` expects ``array.array``.
"""

import array
import reprlib

_of_std_array = reprlib.Repr.repr_array


def repr_array(self, x, level):
    return _of_std_array(self, x, level) if isinstance(x, array.array) else self.repr_instance(x, level)


reprlib.Repr.repr_array = repr_array
