import unittest

import app
from innkeeper.http import Request


class Notes(unittest.TestCase):
    def test_a_note_has_some_text_and_not_too_much(self):
        self.assertEqual(app.tidy(b'{"text":" Buy milk\\n"}'), "Buy milk")
        for body in [b"", b"[]", b'{"text":5}', b'{"text":" "}', b'{"text":"' + b"x" * 501 + b'"}']:
            self.assertIsNone(app.tidy(body), body)

    def test_nobody_has_no_notes(self):
        self.assertEqual(app.answer(Request("GET", "/notes")).status, 401)
        self.assertEqual(app.answer(Request("GET", "/elsewhere")).status, 404)


if __name__ == "__main__":
    unittest.main()
