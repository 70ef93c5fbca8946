//! A disk in memory, for tests: what is written is there.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::engine::hold;
use crate::storage::{Access, Storage, StoredFile};

/// The content of one file.
type Content = Arc<Mutex<Vec<u8>>>;

/// Files by name.
#[derive(Default)]
pub struct MemoryStorage {
    files: Mutex<BTreeMap<String, Content>>,
}

struct MemoryFile(Content);

impl MemoryStorage {
    /// The bytes of every file, by name.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let files = hold(&self.files);
        files
            .iter()
            .map(|(name, content)| (name.clone(), hold(content).clone()))
            .collect()
    }

    /// A disk with these files.
    pub fn of(contents: &BTreeMap<String, Vec<u8>>) -> Self {
        let file = |(name, bytes): (&String, &Vec<u8>)| {
            (name.clone(), Arc::new(Mutex::new(bytes.clone())))
        };
        Self {
            files: Mutex::new(contents.iter().map(file).collect()),
        }
    }

    fn content(&self, name: &str) -> io::Result<Content> {
        let found = hold(&self.files).get(name).cloned();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Storage for MemoryStorage {
    fn location(&self) -> &Path {
        Path::new("memory")
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(hold(&self.files).keys().cloned().collect())
    }

    fn open(&self, name: &str, _access: Access) -> io::Result<Box<dyn StoredFile>> {
        Ok(Box::new(MemoryFile(self.content(name)?)))
    }

    fn create(&self, name: &str) -> io::Result<()> {
        hold(&self.files).insert(name.to_owned(), Content::default());
        Ok(())
    }

    fn rename(&self, old: &str, new: &str) -> io::Result<()> {
        let content = self.content(old)?;
        self.remove(old)?;
        hold(&self.files).insert(new.to_owned(), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let removed = hold(&self.files).remove(name);
        removed
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self) -> io::Result<()> {
        Ok(())
    }

    fn unlock(&self) {}
}

impl StoredFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        Ok(hold(&self.0).len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = hold(&self.0);
        let start = usize::try_from(offset).map_or(content.len(), |start| start.min(content.len()));
        let length = bytes.len().min(content.len() - start);
        bytes[..length].copy_from_slice(&content[start..start + length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut content = hold(&self.0);
        let start = usize::try_from(offset).expect("a test's file is small");
        let length = content.len().max(start + bytes.len());
        content.resize(length, 0);
        content[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
