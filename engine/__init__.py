"""From a configuration to losses: resolve plugins, open a session, keep a journal, run searches."""
