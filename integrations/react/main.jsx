import { StrictMode, useRef, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { PotluckPlayer } from './PotluckPlayer.jsx';

const query = new URLSearchParams(location.search);

function App() {
  const player = useRef(null);
  const [people, setPeople] = useState(0);
  const [playing, setPlaying] = useState(false);
  const toggle = () => (player.current.paused ? player.current.play() : player.current.pause());
  return (
    <main style={{ maxWidth: 640 }}>
      <PotluckPlayer ref={player} src={query.get('src')} trackers={query.get('trackers') ?? ''} heading="The film" muted
        onstatschange={() => setPeople(player.current.stats.peers)} onplay={() => setPlaying(true)} onpause={() => setPlaying(false)} />
      <p><button onClick={toggle}>{playing ? 'Pause' : 'Play'}</button> <output>{people} people</output></p>
    </main>
  );
}

createRoot(document.getElementById('root')).render(<StrictMode><App /></StrictMode>);
